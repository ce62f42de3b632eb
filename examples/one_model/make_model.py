"""Train a small network on scikit-learn's digits: python make_model.py (needs torch)"""

from pathlib import Path

import torch
from network import Network
from sklearn.datasets import load_digits

digits = load_digits()
pictures = torch.tensor(digits.data, dtype=torch.float32)
labels = torch.tensor(digits.target)

torch.manual_seed(0)
network = Network()
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(pictures), labels).backward()
    optimizer.step()

Path("models").mkdir(exist_ok=True)
torch.save(network.state_dict(), "models/digits.pt")
